{# The languages in which somebody can be asked; for others the shop's own, and English where that is none of them. #}
{% macro asked_languages() -%}
    {{ return(['en', 'de', 'fr', 'es']) }}
{%- endmacro %}

{# The first of some languages (BCP 47, in any case; null where unknown) in which somebody can be asked: de for de-AT. #}
{% macro question_language(columns) -%}
    coalesce(
        {% for column in columns %}
        case
            when {{ column_base(column) }} in ('{{ asked_languages() | join("', '") }}') then {{ column_base(column) }}
        end,
        {% endfor %}
        'en'
    )
{%- endmacro %}

{% macro column_base(column) -%}
    regexp_extract(lower(trim({{ column }})), '^[a-z]+')
{%- endmacro %}

{#
  The question about a topic, as a sentence in a language: why is aged, finished or narrow; a topic is named by its last
  level, the day on which an interest was stated by month and year.
#}
{% macro check_in_question(why, topic, stated_at, language) -%}
    {%- set questions = {
        'en': {
            'aged': 'You told us in {month} that you are interested in {topic}. Is that still so?',
            'finished': 'It looks as if you are done with {topic}. Are you still looking for something?',
            'narrow': 'Most of what we showed you lately was about {topic}. Would you like to see other things, too?',
        },
        'de': {
            'aged': 'Im {month} haben Sie angegeben, dass Sie sich für {topic} interessieren. Gilt das noch?',
            'finished': 'Es sieht so aus, als wären Sie mit {topic} fertig. Suchen Sie noch etwas?',
            'narrow': 'Das meiste, was wir Ihnen zuletzt gezeigt haben, gehörte zu {topic}. Möchten Sie auch anderes sehen?',
        },
        'fr': {
            'aged': 'En {month}, vous avez dit vous intéresser à : {topic}. Est-ce toujours le cas ?',
            'finished': 'Vous semblez en avoir terminé avec : {topic}. Cherchez-vous encore quelque chose ?',
            'narrow': 'Ces derniers temps, nous vous avons surtout montré : {topic}. Voulez-vous voir aussi autre chose ?',
        },
        'es': {
            'aged': 'En {month} dijo que le interesa: {topic}. ¿Sigue siendo así?',
            'finished': 'Parece que ha terminado con: {topic}. ¿Todavía busca algo?',
            'narrow': 'Últimamente le hemos mostrado sobre todo: {topic}. ¿Le gustaría ver también otras cosas?',
        },
    } -%}
    {%- set months = {
        'en': 'January February March April May June July August September October November December',
        'de': 'Januar Februar März April Mai Juni Juli August September Oktober November Dezember',
        'fr': 'janvier février mars avril mai juin juillet août septembre octobre novembre décembre',
        'es': 'enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre',
    } -%}
    replace(
        replace(
            case
                {%- for name in asked_languages() %}
                {%- for about, question in questions[name].items() %}
                when {{ language }} = '{{ name }}' and {{ why }} = '{{ about }}' then '{{ question }}'
                {%- endfor %}
                {%- endfor %}
            end,
            '{month}',
            coalesce(
                case {{ language }}
                    {%- for name in asked_languages() %}
                    when '{{ name }}' then string_split('{{ months[name] }}', ' ')[month({{ stated_at }})]
                    {%- endfor %}
                end
                || case when {{ language }} = 'es' then ' de ' else ' ' end || year({{ stated_at }}),
                ''
            )
        ),
        '{topic}',
        string_split({{ topic }}, ' > ')[-1]
    )
{%- endmacro %}
