"""A DAG that loads the chats of every Kommo account, with Meltano.

In a folder of DAGs it takes two lines:

    from airflow_kommo_chats.dag import make_dag

    dag = make_dag(target="target-postgres")

What Airflow needs for it is in docs/airflow.md of tap-kommo-chats.
"""
