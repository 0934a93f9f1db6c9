{# Whether the warehouse can be asked. To compile, all is taken to be there. #}
{% macro can_ask() %}{{ return(execute and flags.WHICH != 'compile') }}{% endmacro %}

{#
  Whether a stream is loaded: what its variable says, such as kommo_using_talks, else
  whether there is a table.
#}
{% macro is_loaded(stream) %}
  {%- set wanted = var('kommo_using_' ~ stream, none) -%}
  {%- if wanted is not none and not wanted -%}{{ return(false) }}{%- endif -%}
  {%- if not kommo_chats.can_ask() -%}{{ return(true) }}{%- endif -%}
  {%- set table = source('kommo', stream) -%}
  {%- set found = load_relation(table) is not none -%}
  {%- if wanted and not found -%}
    {{ exceptions.raise_compiler_error(
      "There is no table " ~ table ~ ", and kommo_using_" ~ stream ~ " says that the "
      ~ "stream is loaded. Load it, say in kommo_schema where it is, or set kommo_using_"
      ~ stream ~ " to false."
    ) }}
  {%- endif -%}
  {{ return(found) }}
{% endmacro %}

{#
  The rows of a stream with the columns that the models take, each of its type. A column
  that was left out of the load is null. A stream that is not loaded has no row.
    columns: the name of the type by that of the column.
#}
{% macro rows_of(stream, columns) %}
  {%- set table = source('kommo', stream) -%}
  {%- set loaded = kommo_chats.is_loaded(stream) -%}
  {%- set found = {} -%}
  {%- if loaded and kommo_chats.can_ask() -%}
    {%- for column in adapter.get_columns_in_relation(table) -%}
      {%- do found.update({column.name | lower: column}) -%}
    {%- endfor -%}
  {%- endif -%}
  select
  {%- for name, kind in columns.items() %}
    {%- if not loaded or (kommo_chats.can_ask() and name not in found) %}
    cast(null as {{ kommo_chats.type_named(kind) }}) as {{ name }}
    {%- elif kommo_chats.can_ask() and kind != 'text' and found[name].is_string() %}
    {{ kommo_chats.unmasked(name, kind) }} as {{ name }}
    {%- else %}
    cast({{ name }} as {{ kommo_chats.type_named(kind) }}) as {{ name }}
    {%- endif -%}
    {{ "," if not loop.last }}
  {%- endfor %}
  {%- if loaded %}
  from {{ table }}
  {%- else %}
  from (select 1 as nothing) as not_loaded
  where nothing = 0
  {%- endif %}
{% endmacro %}

{# What can be taken from a text where none was expected, as of a field that is hashed. #}
{% macro unmasked(name, kind) %}
  {%- if kind == 'number' -%}
    {{ return(kommo_chats.whole_number(name)) }}
  {%- elif kind == 'moment' -%}
    {{ return("cast(" ~ name ~ " as " ~ dbt.type_timestamp() ~ ")") }}
  {%- elif kind == 'object' -%}
    {{ return(kommo_chats.object_of(name)) }}
  {%- endif -%}
  {{ return("cast(null as " ~ kommo_chats.type_named(kind) ~ ")") }}
{% endmacro %}

{% macro type_named(kind) %}
  {{ return({
    'text': kommo_chats.type_text(),
    'number': kommo_chats.type_bigint(),
    'flag': dbt.type_boolean(),
    'moment': dbt.type_timestamp(),
    'object': kommo_chats.type_json(),
  }[kind]) }}
{% endmacro %}

{# The time in UTC of Unix seconds; null where they are no time that a calendar has. #}
{% macro moment_of(seconds) %}
  {{ return(
    "case when " ~ seconds ~ " between 1 and 253402300799 then "
    ~ kommo_chats.moment(seconds) ~ " end"
  ) }}
{% endmacro %}

{# What the tables cannot tell, in the log of each build. #}
{% macro say_what_is_missing() %}
  {%- if execute and flags.WHICH in ('build', 'run') -%}
    {%- set needed_for = {
      'talks': 'no talk, no lead and no channel by name, and closing a talk ends no wait',
      'chat_events': 'no chat of a channel whose messages are not loaded, and nobody knows when a talk was closed',
      'users': 'an agent of a channel of your own is unknown',
      'leads': 'no status of a lead, and nobody is credited with what an unknown person wrote',
      'pipelines': 'no name of a status',
      'accounts': 'the zone is kommo_timezone, else UTC',
      'runs': 'what waits is as of the newest message',
    } -%}
    {%- set messages = [] -%}
    {%- for stream in ('chat_history', 'talk_messages', 'chat_events') -%}
      {%- if kommo_chats.is_loaded(stream) -%}{%- do messages.append(stream) -%}{%- endif -%}
    {%- endfor -%}
    {%- if not messages -%}
      {{ exceptions.raise_compiler_error(
        "There is no message: " ~ source('kommo', 'chat_history').without_identifier()
        ~ " has none of the tables chat_history, talk_messages and chat_events. Load "
        ~ "one, or say in kommo_schema where they are."
      ) }}
    {%- endif -%}
    {%- for stream, meaning in needed_for.items() -%}
      {%- if not kommo_chats.is_loaded(stream) -%}
        {%- do log(stream ~ " is not loaded: " ~ meaning ~ ".", info=true) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{% endmacro %}
