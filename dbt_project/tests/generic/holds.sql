{# Every row meets the condition; null counts as not met. #}
{% test holds(model, condition) %}
    select * from {{ model }} where ({{ condition }}) is distinct from true
{% endtest %}
