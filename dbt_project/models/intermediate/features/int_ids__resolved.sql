select customer_id as id, customer_id from {{ ref('stg_shop__customers') }}
union all
select visitor_id, customer_id from {{ ref('int_visitors__resolved') }}
