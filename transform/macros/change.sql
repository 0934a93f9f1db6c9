{#
  How the large tables follow change: what of a conversation differs from what it was
  when it was built last is built anew, and nothing else.
#}

{# The sum of hashes of a group's rows, the same in whatever order they come. #}
{% macro hashes_of(columns) %}
  {%- set parts = [] -%}
  {%- for column in columns -%}
    {%- do parts.append(
      "coalesce(cast(" ~ column ~ " as " ~ kommo_chats.type_text() ~ "), '')"
    ) -%}
  {%- endfor -%}
  {{ return(
    "sum(" ~ kommo_chats.hash_of(parts | join(" || '|' || ")) ~ ")"
  ) }}
{% endmacro %}

{# What a model says, as one text; so one that says something else builds all anew. #}
{% macro checksum_of(model) %}
  {%- if execute -%}
    {%- for node in graph.nodes.values() -%}
      {%- if node.name == model and node.package_name == 'kommo_chats' -%}
        {{ return(node.checksum.checksum) }}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return('') }}
{% endmacro %}

{# All variables and models that decide on a row, as one text. #}
{% macro definitions_mark() %}
  {%- set checksums = [] -%}
  {%- for model in [
    'kommo_messages', 'kommo_waits', 'kommo_talks', 'kommo_conversations',
    'kommo_daily', 'kommo_agents_daily',
  ] -%}
    {%- do checksums.append(kommo_chats.checksum_of(model)) -%}
  {%- endfor -%}
  {{ return(local_md5(tojson([
    checksums,
    var('kommo_target_minutes'),
    var('kommo_expiry_days'),
    var('kommo_unknown_ends_wait'),
    var('kommo_bots'),
    var('kommo_humans'),
    var('kommo_personal_columns'),
    var('kommo_as_of', none),
  ]))) }}
{% endmacro %}

{# A table as the build before left it; none before the first. #}
{% macro as_built_before(model) %}
  {%- if kommo_chats.can_ask() -%}
    {%- for node in graph.nodes.values() -%}
      {%- if node.name == model and node.package_name == 'kommo_chats' -%}
        {{ return(adapter.get_relation(node.database, node.schema, node.alias)) }}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(none) }}
{% endmacro %}

{# Whether there is nothing to build, of a table that is there. #}
{% macro is_untouched() %}
  {%- if not kommo_chats.is_bit_by_bit() -%}{{ return(false) }}{%- endif -%}
  {%- set touched = load_relation(ref('int_kommo__touched')) -%}
  {%- if touched is none -%}{{ return(false) }}{%- endif -%}
  {%- set found = run_query("select 1 from " ~ touched ~ " limit 1") -%}
  {{ return(found.rows | length == 0) }}
{% endmacro %}

{# No row, of the columns that the table has. #}
{% macro nothing() %}
    select * from {{ this }} where 1 = 0
{% endmacro %}

{# Of a table that has conversations: those that changed leave before they come back. #}
{% macro forget_touched() %}
  {%- if kommo_chats.is_bit_by_bit() and not kommo_chats.is_untouched() -%}
    delete from {{ this }}
    where conversation_id in (
        select conversation_id from {{ ref('int_kommo__touched') }}
    )
  {%- endif -%}
{% endmacro %}

{# Of a table that has days. #}
{% macro forget_touched_days() %}
  {%- if kommo_chats.is_bit_by_bit() and not kommo_chats.is_untouched() -%}
    delete from {{ this }}
    where exists (
        select 1
        from ({{ kommo_chats.touched_days() }}) as touched
        where touched.account_key = coalesce({{ this.identifier }}.account_id, 0)
            and touched.local_day = {{ this.identifier }}.local_day
    )
  {%- endif -%}
{% endmacro %}

{# The days on which conversations that changed have a message, or had one. #}
{% macro touched_days() %}
    select distinct
        account_key,
        local_day
    from (
        select account_key, local_day
        from {{ ref('int_kommo__touched_days') }}
        union all
        select coalesce(account_id, 0), local_day
        from {{ ref('kommo_messages') }}
        where conversation_id in (
            select conversation_id from {{ ref('int_kommo__touched') }}
        )
    ) as before_and_after
{% endmacro %}

{# Picks rows of what changed, of a table of which all else is there. #}
{% macro of_touched(word) %}
  {%- if kommo_chats.is_bit_by_bit() %}
    {{ word }} conversation_id in (
        select conversation_id from {{ ref('int_kommo__touched') }}
    )
  {%- endif %}
{% endmacro %}

{# The same of days, where `touched` has them. #}
{% macro of_touched_days(word, day) %}
  {%- if kommo_chats.is_bit_by_bit() %}
    {{ word }} exists (
        select 1
        from touched
        where touched.account_key = coalesce(account_id, 0)
            and touched.local_day = {{ day }}
    )
  {%- endif %}
{% endmacro %}

{# Whether the calendar is the one that there would be. #}
{% macro is_calendar_made() %}
  {%- if not kommo_chats.is_bit_by_bit() -%}{{ return(false) }}{%- endif -%}
  {%- set found = run_query(
    "select 1 from " ~ this ~ " as calendar inner join "
    ~ ref('int_kommo__calendar_mark') ~ " as mark on mark.mark = calendar.mark limit 1"
  ) -%}
  {{ return(found.rows | length > 0) }}
{% endmacro %}

{% macro forget_calendar() %}
  {%- if kommo_chats.is_bit_by_bit() and not kommo_chats.is_calendar_made() -%}
    delete from {{ this }} where 1 = 1
  {%- endif -%}
{% endmacro %}

{# Whether rows are added to a table that is there. #}
{% macro is_bit_by_bit() %}
  {{ return(kommo_chats.can_ask() and is_incremental()) }}
{% endmacro %}
