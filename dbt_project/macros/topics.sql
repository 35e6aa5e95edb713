{#
  Topics, category paths and tags are compared in one form: lower case, levels parted by ' > ', white space, invisible
  characters and empty levels taken off. Null when nothing is left.
#}
{% macro normalised_topic(column) -%}
    nullif(
        lower(
            regexp_replace(
                regexp_replace({{ column }}, '^[\p{Z}\p{C}>]+|[\p{Z}\p{C}>]+$', '', 'g'),
                '[\p{Z}\p{C}]*>[\p{Z}\p{C}>]*', ' > ', 'g'
            )
        ),
        ''
    )
{%- endmacro %}
