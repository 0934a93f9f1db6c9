{# What stands in for the conversation of a talk that is not loaded. #}
{% macro conversation_of_talk(account_id, talk_id) %}
  {%- set text = kommo_chats.type_text() -%}
  {{ return(
    "'talk ' || cast(" ~ account_id ~ " as " ~ text ~ ") || '/' || cast(" ~ talk_id
    ~ " as " ~ text ~ ")"
  ) }}
{% endmacro %}

{# Whether one of the values is in a list of a variable. #}
{% macro is_named(variable, values) %}
  {%- set names = [] -%}
  {%- for name in var(variable) -%}
    {%- do names.append("'" ~ (name | string | replace("'", "''")) ~ "'") -%}
  {%- endfor -%}
  {%- if not names -%}{{ return("1 = 0") }}{%- endif -%}
  {%- set found = [] -%}
  {%- for value in values -%}
    {%- do found.append(
      "coalesce(cast(" ~ value ~ " as " ~ kommo_chats.type_text() ~ "), '') in ("
      ~ names | join(", ") ~ ")"
    ) -%}
  {%- endfor -%}
  {{ return("(" ~ found | join(" or ") ~ ")") }}
{% endmacro %}

{# The piece of the calendar that an instant is in: joins `calendar` on its midnight. #}
{% macro in_piece(calendar_id, seconds, piece) %}
  {{ return(
    piece ~ ".calendar_id = " ~ calendar_id
    ~ " and " ~ piece ~ ".utc_midnight_s = " ~ seconds ~ " - mod(" ~ seconds ~ ", 86400)"
    ~ " and " ~ piece ~ ".from_s <= " ~ seconds
    ~ " and " ~ piece ~ ".to_s > " ~ seconds
  ) }}
{% endmacro %}

{# Seconds of office hours from the calendar's beginning to an instant in a piece. #}
{% macro office_clock(seconds, piece) %}
  {{ return(
    "(" ~ piece ~ ".open_before_s + case when " ~ piece ~ ".is_open then " ~ seconds
    ~ " - " ~ piece ~ ".from_s else 0 end)"
  ) }}
{% endmacro %}

{# How many rows of a group something holds for. #}
{% macro count_if(condition) %}
  {{ return("count(case when " ~ condition ~ " then 1 end)") }}
{% endmacro %}

{# Minutes after midnight of a text such as 09:30; 24:00 is the day's end. #}
{% macro minutes_of(clock) %}
  {%- set hours = dbt.split_part(clock, "':'", 1) -%}
  {%- set minutes = dbt.split_part(clock, "':'", 2) -%}
  {{ return(
    "(60 * cast(" ~ hours ~ " as integer) + cast(" ~ minutes ~ " as integer))"
  ) }}
{% endmacro %}

{# Seconds since 1970 that no calendar has. #}
{% macro end_of_time() %}{{ return(300000000000) }}{% endmacro %}
