"""Load the chats of every Kommo account into PostgreSQL, with Meltano.

The DAG is made by the package beside this file. What Airflow needs for it is in
docs/airflow.md.
"""

from airflow_kommo_chats.dag import make_dag

dag = make_dag(target="target-postgres")
