{{ config(
    materialized='incremental',
    pre_hook='{{ kommo_chats.forget_calendar() }}',
) }}

{#-
  Office hours, made per local day and then turned to UTC: pieces of time, each within
  one local day, one day of UTC, and either open or closed. An instant is in one piece,
  and the seconds of office hours between two instants are the difference of two sums.
#}
{%- set bigint = kommo_chats.type_bigint() -%}
{%- set first_day = "cast('2009-01-01' as date)" -%}
{%- set first_s = 1230768000 -%}
{%- set days = 11322 %}
-- depends_on: {{ ref('int_kommo__calendar_mark') }}
{%- if kommo_chats.is_calendar_made() %}
{{ kommo_chats.nothing() }}
{%- else %}
with digits as (

    {% for digit in range(10) -%}
    select {{ digit }} as digit {{ "union all " if not loop.last }}
    {%- endfor %}

),

numbers as (

    select number
    from (
        select
            a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit + 10000 * e.digit
                as number
        from digits as a
        cross join digits as b
        cross join digits as c
        cross join digits as d
        cross join digits as e
        where e.digit < 2
    ) as all_numbers
    where number <= {{ days }}

),

calendars as (

    select
        calendar_id,
        max(zone) as zone,
        min(account_id) as account_id
    from {{ ref('int_kommo__accounts') }}
    group by calendar_id

),

-- An account with hours of its own has none of the others'.
with_own_hours as (

    select distinct account_id
    from {{ ref('kommo_office_hours') }}
    where account_id is not null

),

hours as (

    select
        calendars.calendar_id,
        hours.weekday,
        {{ kommo_chats.minutes_of('hours.opens_at') }} as opens_min,
        {{ kommo_chats.minutes_of('hours.closes_at') }} as closes_min
    from calendars
    left join with_own_hours
        on with_own_hours.account_id = calendars.account_id
        and calendars.calendar_id <> calendars.zone
    inner join {{ ref('kommo_office_hours') }} as hours
        on coalesce(hours.account_id, -1) = coalesce(with_own_hours.account_id, -1)

),

always_open as (

    select calendars.calendar_id
    from calendars
    left join hours
        on hours.calendar_id = calendars.calendar_id
    where hours.calendar_id is null

),

holidays as (

    select distinct
        calendars.calendar_id,
        holidays.day
    from calendars
    inner join {{ ref('kommo_holidays') }} as holidays
        on holidays.account_id is null
        or (
            holidays.account_id = calendars.account_id
            and calendars.calendar_id <> calendars.zone
        )

),

clock_days as (

    select
        calendars.calendar_id,
        calendars.zone,
        numbers.number,
        -- The first day is a Thursday.
        mod(numbers.number + 3, 7) + 1 as weekday,
        cast({{ dbt.dateadd('day', 'numbers.number', first_day) }} as date) as local_day
    from calendars
    cross join numbers

),

midnights as (

    select
        *,
        {{ kommo_chats.wall_epoch('local_day', '0', 'zone') }} as midnight_s
    from clock_days

),

local_days as (

    select
        calendar_id,
        zone,
        number,
        weekday,
        local_day,
        starts_s,
        lead(starts_s) over (partition by calendar_id order by number) as ends_s
    from (
        select
            *,
            -- Where the clock shows midnight twice, the day begins with the first.
            case
                when {{ kommo_chats.wall_day('midnight_s - 3600', 'zone') }} = local_day
                    then midnight_s - 3600
                else midnight_s
            end as starts_s
        from midnights
    ) as started

),

open_from_to as (

    select
        local_days.calendar_id,
        case
            when hours.opens_min = 0 then local_days.starts_s
            else {{ kommo_chats.wall_epoch('local_day', 'hours.opens_min', 'zone') }}
        end as opens_s,
        case
            when hours.closes_min = 1440 then local_days.ends_s
            else {{ kommo_chats.wall_epoch('local_day', 'hours.closes_min', 'zone') }}
        end as closes_s
    from local_days
    inner join (
        select * from hours
        union all
        select
            always_open.calendar_id,
            numbers.number + 1,
            0,
            1440
        from always_open
        cross join numbers
        where numbers.number < 7
    ) as hours
        on hours.calendar_id = local_days.calendar_id
        and hours.weekday = local_days.weekday
    left join holidays
        on holidays.calendar_id = local_days.calendar_id
        and holidays.day = local_days.local_day
    where holidays.day is null and local_days.ends_s is not null

),

boundaries as (

    select
        calendar_id,
        starts_s as from_s,
        local_day,
        0 as opens
    from local_days
    union all
    select calendar_id, opens_s, cast(null as date), 1
    from open_from_to
    where closes_s > opens_s
    union all
    select calendar_id, closes_s, cast(null as date), -1
    from open_from_to
    where closes_s > opens_s
    union all
    select
        calendars.calendar_id,
        {{ first_s }} + 86400 * cast(numbers.number as {{ bigint }}),
        cast(null as date),
        0
    from calendars
    cross join numbers

),

instants as (

    select
        calendar_id,
        from_s,
        max(local_day) as local_day,
        sum(opens) as opens
    from boundaries
    group by calendar_id, from_s

),

pieces as (

    select
        calendar_id,
        from_s,
        lead(from_s) over (partition by calendar_id order by from_s) as to_s,
        max(local_day) over (
            partition by calendar_id order by from_s
            rows between unbounded preceding and current row
        ) as local_day,
        sum(opens) over (
            partition by calendar_id order by from_s
            rows between unbounded preceding and current row
        ) > 0 as is_open
    from instants

),

summed as (

    select
        *,
        sum(case when is_open then to_s - from_s else 0 end) over (
            partition by calendar_id order by from_s
            rows between unbounded preceding and current row
        ) as open_until_s
    from pieces
    where to_s is not null

)

select
    calendar_id,
    cast(from_s - mod(from_s, 86400) as {{ bigint }}) as utc_midnight_s,
    cast(from_s as {{ bigint }}) as from_s,
    cast(to_s as {{ bigint }}) as to_s,
    local_day,
    is_open,
    cast(
        open_until_s - case when is_open then to_s - from_s else 0 end
        as {{ bigint }}
    ) as open_before_s,
    calendar_mark.mark
from summed
cross join {{ ref('int_kommo__calendar_mark') }} as calendar_mark
where summed.local_day is not null
{%- endif %}
