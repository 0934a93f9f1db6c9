{# What holds for each row; a row for which it is not known is passed over. #}
{% test holds(model, expression) %}

select *
from {{ model }}
where not ({{ expression }})

{% endtest %}
