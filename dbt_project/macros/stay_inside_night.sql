{# Run before anything else: from here on DuckDB opens files below the night's folder only. #}
{% macro stay_inside_night() -%}
    set allowed_directories = ['{{ env_var("RECSYS_NIGHT_DIR") }}/'];
    set enable_external_access = false
{%- endmacro %}
