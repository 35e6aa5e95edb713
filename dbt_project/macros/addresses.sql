{# Addresses are compared in one form: white space and invisible characters off both ends, lower case. Null when nothing is left. #}
{% macro normalised_email(column) -%}
    nullif(lower(regexp_replace({{ column }}, '^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$', '', 'g')), '')
{%- endmacro %}

{#
  Which mailbox an address leads to, of a normalised one: nothing invisible in it, and at gmail.com, which googlemail.com is another
  name of, no dots before the @ and nothing from a + on. Whatever else it is, also a phone number, stays as it is.
#}
{% macro mailbox(column) -%}
    case
        when regexp_full_match(
            regexp_replace({{ column }}, '[\p{Z}\p{C}]+', '', 'g'), '[.]*[^@.+][^@]*@(gmail|googlemail)[.]com'
        )
        then concat(
            regexp_replace(
                split_part(regexp_replace({{ column }}, '[\p{Z}\p{C}]+', '', 'g'), '@', 1), '[+].*|[.]', '', 'g'
            ),
            '@gmail.com'
        )
        else regexp_replace({{ column }}, '[\p{Z}\p{C}]+', '', 'g')
    end
{%- endmacro %}

{#
  Phone numbers are compared without white space, dashes, parentheses, dots and slashes, and with + for a leading 00. A (0)
  after the country code is dialled only inside the country, and is nothing here. Null when nothing is left.
#}
{% macro normalised_phone(column) -%}
    nullif(regexp_replace(regexp_replace(regexp_replace(regexp_replace({{ column }}, '[\p{Z}\p{C}./-]+', '', 'g'),
        '^([()]*(?:[+]|00)[()]*[1-9][0-9]{0,2}[()]*)[(]0[)]', '\1'), '[()]+', '', 'g'), '^00', '+'), '')
{%- endmacro %}

{#
  What counts as an e-mail address, of a normalised one: at most 254 characters, printable ASCII without spaces, one @;
  before it 1 to 64 letters, digits and !#$%&'*+/=?^_`{|}~-, dots only between them, a letter, digit or underscore first
  (a cell that starts with = or + is a formula to a spreadsheet); after it at least two labels with dots between,
  of letters, digits and inner hyphens, 63 at most, the last one of letters or an xn-- name.
  False, not null, for null.
#}
{% macro is_email(column) -%}
    coalesce(
        length({{ column }}) <= 254
        and length(split_part({{ column }}, '@', 1)) <= 64
        and regexp_full_match(
            {{ column }},
            '[a-z0-9_][a-z0-9!#$%&''*+/=?^_`{|}~-]*(\.[a-z0-9!#$%&''*+/=?^_`{|}~-]+)*'
            || '@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])'
        ),
        false
    )
{%- endmacro %}

{# E.164, of a normalised phone number. False, not null, for null. #}
{% macro is_phone(column) -%}
    coalesce(regexp_full_match({{ column }}, '\+[1-9][0-9]{6,14}'), false)
{%- endmacro %}
