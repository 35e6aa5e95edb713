-- What a tool may hold of a channel: the rows of the last delivered night, and of nights after it that may have
-- arrived. A row need not be said again only where every one of these nights has it, and a delivered one is known.
with past_rows as (

    select * from {{ ref('stg_night__past_rows') }}

),

past_nights as (

    select * from {{ ref('stg_night__past_nights') }}

),

last_delivered as (

    select
        channel,
        max(run_date) as run_date
    from past_nights
    where is_delivered
    group by channel

),

possible as (

    select
        past_nights.channel,
        past_nights.run_date,
        last_delivered.run_date is not null as is_known
    from past_nights
    left join last_delivered on past_nights.channel = last_delivered.channel
    where coalesce(past_nights.run_date >= last_delivered.run_date, true)

),

nights as (

    select
        channel,
        count(*) as nights,
        bool_and(is_known) as is_known
    from possible
    group by channel

),

rows_held as (

    select
        past_rows.channel,
        past_rows.customer_id,
        past_rows.email,
        past_rows.phone,
        past_rows.row_sha,
        count(*) as nights
    from past_rows
    inner join possible
        on past_rows.channel = possible.channel
        and past_rows.run_date = possible.run_date
    group by past_rows.channel, past_rows.customer_id, past_rows.email, past_rows.phone, past_rows.row_sha

),

final as (

    select
        rows_held.channel,
        rows_held.customer_id,
        rows_held.email,
        rows_held.phone,
        rows_held.row_sha,
        nights.is_known and rows_held.nights = nights.nights as is_everywhere
    from rows_held
    inner join nights on rows_held.channel = nights.channel

)

select * from final
