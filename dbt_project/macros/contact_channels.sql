{# The ways to reach a person, as in recsys/vocabulary.py, as the rows of a relation with one column. #}
{% macro contact_channels() -%}
    (values ('email'), ('sms'), ('push'), ('post'), ('ads')) as contact_channels (contact_channel)
{%- endmacro %}
