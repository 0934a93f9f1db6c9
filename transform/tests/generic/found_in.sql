{# Columns whose values another model has together, where they are there. #}
{% test found_in(model, columns, to) %}

select own.*
from {{ model }} as own
left join {{ to }} as other
    on {% for name in columns.keys() -%}
    other.{{ columns[name] }} = own.{{ name }} {{ "and " if not loop.last }}
    {%- endfor %}
where other.{{ columns.values() | first }} is null
{%- for name in columns.keys() %}
    and own.{{ name }} is not null
{%- endfor %}

{% endtest %}
