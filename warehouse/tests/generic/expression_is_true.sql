{#- Rows for which the expression is false. As in a check constraint, null passes. -#}
{% test expression_is_true(model, expression) %}

select *
from {{ model }}
where not ({{ expression }})

{% endtest %}
