{#
  What each warehouse says in its own words. Another warehouse needs these, and no model.
  The default is DuckDB's.
#}

{% macro type_text() %}{{ return(dbt.type_string()) }}{% endmacro %}
{% macro type_bigint() %}{{ return(dbt.type_bigint()) }}{% endmacro %}

{# The type of the loader's objects. #}
{% macro type_json() %}
  {{ return(adapter.dispatch('type_json', 'kommo_chats')()) }}
{% endmacro %}
{% macro default__type_json() %}{{ return('json') }}{% endmacro %}
{% macro postgres__type_json() %}{{ return('jsonb') }}{% endmacro %}
{% macro snowflake__type_json() %}{{ return('variant') }}{% endmacro %}
{% macro bigquery__type_json() %}{{ return('json') }}{% endmacro %}

{# A real number of double precision. #}
{% macro type_double() %}
  {{ return(adapter.dispatch('type_double', 'kommo_chats')()) }}
{% endmacro %}
{% macro default__type_double() %}{{ return('double precision') }}{% endmacro %}
{% macro bigquery__type_double() %}{{ return('float64') }}{% endmacro %}

{# A number that the sum of a billion hashes fits. #}
{% macro type_sum() %}
  {{ return(adapter.dispatch('type_sum', 'kommo_chats')()) }}
{% endmacro %}
{% macro default__type_sum() %}{{ return('hugeint') }}{% endmacro %}
{% macro postgres__type_sum() %}{{ return('numeric') }}{% endmacro %}
{% macro snowflake__type_sum() %}{{ return('number(38, 0)') }}{% endmacro %}
{% macro bigquery__type_sum() %}{{ return('numeric') }}{% endmacro %}

{# An object from a text that may be one; null where it is none. #}
{% macro object_of(text) %}
  {{ return(adapter.dispatch('object_of', 'kommo_chats')(text)) }}
{% endmacro %}
{% macro default__object_of(text) %}
  {{ return("try_cast(" ~ text ~ " as json)") }}
{% endmacro %}
{# PostgreSQL cannot try, and its loader writes none as text. #}
{% macro postgres__object_of(text) %}{{ return("cast(null as jsonb)") }}{% endmacro %}
{% macro snowflake__object_of(text) %}
  {{ return("try_parse_json(" ~ text ~ ")") }}
{% endmacro %}
{% macro bigquery__object_of(text) %}
  {{ return("safe.parse_json(" ~ text ~ ")") }}
{% endmacro %}

{# A field of an object, as text; null where there is none. #}
{% macro field(object, name) %}
  {{ return(adapter.dispatch('field', 'kommo_chats')(object, name)) }}
{% endmacro %}
{% macro default__field(object, name) %}
  {{ return("(" ~ object ~ " ->> '$." ~ name ~ "')") }}
{% endmacro %}
{% macro postgres__field(object, name) %}
  {{ return("(" ~ object ~ " ->> '" ~ name ~ "')") }}
{% endmacro %}
{% macro snowflake__field(object, name) %}
  {{ return("cast(get_path(" ~ object ~ ", '" ~ name ~ "') as varchar)") }}
{% endmacro %}
{% macro bigquery__field(object, name) %}
  {{ return("json_value(" ~ object ~ ", '$." ~ name ~ "')") }}
{% endmacro %}

{# A whole number from a text; null where it is none. #}
{% macro whole_number(text) %}
  {{ return(adapter.dispatch('whole_number', 'kommo_chats')(text)) }}
{% endmacro %}
{% macro default__whole_number(text) %}
  {{ return("try_cast(" ~ text ~ " as bigint)") }}
{% endmacro %}
{% macro postgres__whole_number(text) %}
  {{ return(
    "case when " ~ text ~ " ~ '^[0-9]{1,18}$' then cast(" ~ text ~ " as bigint) end"
  ) }}
{% endmacro %}
{% macro bigquery__whole_number(text) %}
  {{ return("safe_cast(" ~ text ~ " as int64)") }}
{% endmacro %}

{# Whole seconds since 1970 of a time in UTC. #}
{% macro epoch(moment) %}
  {{ return(adapter.dispatch('epoch', 'kommo_chats')(moment)) }}
{% endmacro %}
{% macro default__epoch(moment) %}
  {{ return("cast(floor(epoch(" ~ moment ~ ")) as bigint)") }}
{% endmacro %}
{% macro postgres__epoch(moment) %}
  {{ return("cast(floor(extract(epoch from " ~ moment ~ ")) as bigint)") }}
{% endmacro %}
{% macro snowflake__epoch(moment) %}
  {{ return("date_part(epoch_second, " ~ moment ~ ")") }}
{% endmacro %}
{% macro bigquery__epoch(moment) %}
  {{ return("unix_seconds(" ~ moment ~ ")") }}
{% endmacro %}

{# The time in UTC of seconds since 1970. #}
{% macro moment(seconds) %}
  {{ return(adapter.dispatch('moment', 'kommo_chats')(seconds)) }}
{% endmacro %}
{% macro default__moment(seconds) %}
  {{ return("make_timestamp(cast(" ~ seconds ~ " as bigint) * 1000000)") }}
{% endmacro %}
{% macro postgres__moment(seconds) %}
  {{ return("timezone('UTC', to_timestamp(" ~ seconds ~ "))") }}
{% endmacro %}
{% macro snowflake__moment(seconds) %}
  {{ return("to_timestamp_ntz(" ~ seconds ~ ")") }}
{% endmacro %}
{% macro bigquery__moment(seconds) %}
  {{ return("timestamp_seconds(" ~ seconds ~ ")") }}
{% endmacro %}

{#
  Seconds since 1970 of so many minutes after midnight, by the clock on the wall of a
  zone. A time that the clock shows twice is the later one.
#}
{% macro wall_epoch(day, minutes, zone) %}
  {{ return(adapter.dispatch('wall_epoch', 'kommo_chats')(day, minutes, zone)) }}
{% endmacro %}
{% macro default__wall_epoch(day, minutes, zone) %}
  {{ return(
    "cast(floor(epoch(timezone(" ~ zone ~ ", cast(" ~ day ~ " as timestamp)"
    ~ " + to_minutes(" ~ minutes ~ ")))) as bigint)"
  ) }}
{% endmacro %}
{% macro postgres__wall_epoch(day, minutes, zone) %}
  {{ return(
    "cast(extract(epoch from timezone(" ~ zone ~ ", cast(" ~ day ~ " as timestamp)"
    ~ " + " ~ minutes ~ " * interval '1 minute')) as bigint)"
  ) }}
{% endmacro %}
{% macro snowflake__wall_epoch(day, minutes, zone) %}
  {{ return(
    "date_part(epoch_second, convert_timezone(" ~ zone ~ ", 'UTC', dateadd(minute, "
    ~ minutes ~ ", cast(" ~ day ~ " as timestamp_ntz))))"
  ) }}
{% endmacro %}
{% macro bigquery__wall_epoch(day, minutes, zone) %}
  {{ return(
    "unix_seconds(timestamp(datetime_add(cast(" ~ day ~ " as datetime), interval "
    ~ minutes ~ " minute), " ~ zone ~ "))"
  ) }}
{% endmacro %}

{# The day that the calendar on the wall of a zone shows. #}
{% macro wall_day(seconds, zone) %}
  {{ return(adapter.dispatch('wall_day', 'kommo_chats')(seconds, zone)) }}
{% endmacro %}
{% macro default__wall_day(seconds, zone) %}
  {{ return("cast(timezone(" ~ zone ~ ", to_timestamp(" ~ seconds ~ ")) as date)") }}
{% endmacro %}
{% macro snowflake__wall_day(seconds, zone) %}
  {{ return(
    "cast(convert_timezone('UTC', " ~ zone ~ ", to_timestamp_ntz(" ~ seconds
    ~ ")) as date)"
  ) }}
{% endmacro %}
{% macro bigquery__wall_day(seconds, zone) %}
  {{ return("date(timestamp_seconds(" ~ seconds ~ "), " ~ zone ~ ")") }}
{% endmacro %}

{# Whether the warehouse knows a zone; else it could only fail on it. #}
{% macro is_zone(zone) %}
  {{ return(adapter.dispatch('is_zone', 'kommo_chats')(zone)) }}
{% endmacro %}
{% macro default__is_zone(zone) %}
  {{ return(zone ~ " in (select name from pg_timezone_names())") }}
{% endmacro %}
{% macro postgres__is_zone(zone) %}
  {{ return(zone ~ " in (select name from pg_timezone_names)") }}
{% endmacro %}
{% macro snowflake__is_zone(zone) %}{{ return(zone ~ " is not null") }}{% endmacro %}
{% macro bigquery__is_zone(zone) %}{{ return(zone ~ " is not null") }}{% endmacro %}

{# A hash of a text, of type_sum(). #}
{% macro hash_of(text) %}
  {{ return(adapter.dispatch('hash_of', 'kommo_chats')(text)) }}
{% endmacro %}
{% macro default__hash_of(text) %}
  {{ return("cast(hash(" ~ text ~ ") as hugeint)") }}
{% endmacro %}
{% macro postgres__hash_of(text) %}
  {{ return("cast(hashtextextended(" ~ text ~ ", 0) as numeric)") }}
{% endmacro %}
{% macro snowflake__hash_of(text) %}
  {{ return("cast(hash(" ~ text ~ ") as number(38, 0))") }}
{% endmacro %}
{% macro bigquery__hash_of(text) %}
  {{ return("cast(farm_fingerprint(" ~ text ~ ") as numeric)") }}
{% endmacro %}

{#
  A percentile of a group of whole numbers, in tenths where it falls between two.
#}
{% macro percentile(value, share) %}
  {{ return(adapter.dispatch('percentile', 'kommo_chats')(value, share)) }}
{% endmacro %}
{% macro default__percentile(value, share) %}
  {{ return(
    "cast(round(cast(percentile_cont(" ~ share ~ ") within group (order by " ~ value
    ~ ") as " ~ dbt.type_numeric() ~ "), 1) as " ~ kommo_chats.type_double() ~ ")"
  ) }}
{% endmacro %}
{# BigQuery has no exact one for groups. #}
{% macro bigquery__percentile(value, share) %}
  {{ return(
    "cast(approx_quantiles(" ~ value ~ ", 1000 ignore nulls)[offset("
    ~ (share * 1000) | int ~ ")] as float64)"
  ) }}
{% endmacro %}
