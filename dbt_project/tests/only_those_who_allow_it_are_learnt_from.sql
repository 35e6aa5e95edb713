-- Whatever is derived from behaviour is about customers who may be personalised, and about nobody else.
with behaviour as (

    select customer_id from {{ ref('fct_interactions') }}
    union
    select customer_id from {{ ref('customer_features') }}
    union
    select customer_id from {{ ref('customer_category_affinities') }}

)

select customer_id from behaviour
except
select customer_id from {{ ref('dim_customers') }} where may_personalise
