-- What was sent to somebody on every one of the last nights, as many as the shop file allows, and rests tonight; not what
-- they buy again and is due. It counts what we sent, not what they did, so it is about everybody.
with settings as (

    select * from {{ ref('stg_night__settings') }} where max_nights_in_a_row is not null

),

repeated as (

    select
        past_items.customer_id,
        past_items.product_id
    from {{ ref('stg_night__past_items') }} as past_items
    inner join settings
        on
            past_items.run_date >= settings.run_date - settings.max_nights_in_a_row
            and past_items.run_date < settings.run_date
    group by past_items.customer_id, past_items.product_id
    -- one bit per night: distinct counts of many million rows take too much memory
    having
        bit_count(bit_or(cast(1 as bigint) << (settings.run_date - past_items.run_date)))
        = max(settings.max_nights_in_a_row)

),

due as (

    select customer_id, product_id from {{ ref('int_replenishments__timed') }} where is_due and not is_lapsed

),

final as (

    select
        repeated.customer_id,
        repeated.product_id
    from repeated
    left join due
        on repeated.customer_id = due.customer_id and repeated.product_id = due.product_id
    where due.product_id is null

)

select * from final
