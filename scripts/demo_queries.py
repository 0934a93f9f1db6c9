"""What the demo asks the database."""

from __future__ import annotations

STREAMS = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = 'main' ORDER BY table_name
"""
FIRST_RUN = "SELECT min(run_started_at) FROM runs"
LAST_RUN = """
    SELECT messages + talk_messages AS messages, requests + crm_requests AS requests
    FROM runs ORDER BY run_started_at DESC LIMIT 1
"""
MESSAGES = """
    SELECT
        conversation_id, message_id, sent_at, direction, 'own' AS channel,
        sender ->> '$.name' AS author,
        message ->> '$.type' AS type, message ->> '$.text' AS text
    FROM chat_history
    UNION ALL
    SELECT
        conversation_id, message_id, sent_at, direction, origin,
        author ->> '$.name', message_type, text
    FROM talk_messages
"""
CHANNELS = f"""
    SELECT
        channel,
        count(DISTINCT conversation_id) AS conversations,
        count(*) AS messages,
        count(*) FILTER (direction = 'incoming') AS incoming,
        count(*) FILTER (direction = 'outgoing') AS outgoing
    FROM ({MESSAGES})
    GROUP BY channel
    ORDER BY messages DESC, channel
"""  # noqa: S608 (all of it stands here)
LEADS = f"""
    SELECT
        m.channel AS channel,
        coalesce(arg_max(m.author, m.sent_at) FILTER (m.direction = 'incoming'), '')
            AS customer,
        count(*) AS messages,
        coalesce(l.name, '') AS lead,
        coalesce(CAST(l.price AS VARCHAR), '') AS price,
        coalesce(p.status_name, '') AS status,
        coalesce(u.name, '') AS responsible
    FROM ({MESSAGES}) AS m
    JOIN (
        SELECT DISTINCT ON (chat_id) *
        FROM talks ORDER BY chat_id, created_at DESC, talk_id DESC
    ) AS t ON t.chat_id = m.conversation_id
    LEFT JOIN leads AS l
        ON l.account_id = t.account_id
        AND l.lead_id = t.entity_id AND t.entity_type = 'lead'
    LEFT JOIN pipelines AS p
        ON p.account_id = l.account_id
        AND p.pipeline_id = l.pipeline_id AND p.status_id = l.status_id
    LEFT JOIN users AS u
        ON u.account_id = l.account_id AND u.user_id = l.responsible_user_id
    GROUP BY m.channel, m.conversation_id, l.name, l.price, p.status_name, u.name
    QUALIFY row_number() OVER (
        PARTITION BY m.channel ORDER BY max(m.sent_at) DESC, m.conversation_id
    ) <= 2
    ORDER BY channel, max(m.sent_at) DESC
"""  # noqa: S608 (all of it stands here)
DURATION = """
    CASE
        WHEN {0} < 3600 THEN CAST(round({0} / 60) AS INTEGER) || ' min'
        WHEN {0} < 86400 THEN round({0} / 3600, 1) || ' h'
        ELSE round({0} / 86400, 1) || ' d'
    END
"""
SPEED = f"""
    count(*) AS answered,
    {DURATION.format("median(wait_seconds)")} AS median,
    {DURATION.format("quantile_cont(wait_seconds, 0.9)")} AS "nine of ten within",
    CAST(round(100 * avg(CAST(is_within_target AS INTEGER))) AS INTEGER) || '%'
        AS "in 15 min"
"""
FIRST_RESPONSES = f"""
    SELECT origin AS channel, {SPEED}
    FROM kommo_waits WHERE state = 'answered' AND is_first_of_talk
    GROUP BY channel ORDER BY answered DESC, channel
"""  # noqa: S608 (all of it stands here)
AGENTS = f"""
    SELECT
        coalesce(replied_by_name, '')
            || CASE WHEN replied_by = 'agent' THEN '' ELSE ' (unknown)' END AS agent,
        {SPEED}
    FROM kommo_waits WHERE state = 'answered'
    GROUP BY agent ORDER BY answered DESC, agent LIMIT 8
"""  # noqa: S608 (all of it stands here)
WAITING = f"""
    SELECT
        {DURATION.format("waiting_seconds")} AS waiting,
        origin AS channel,
        customer_messages AS messages,
        coalesce(status_name, '') AS status,
        coalesce(responsible_name, '') AS responsible
    FROM kommo_unanswered ORDER BY place LIMIT 8
"""  # noqa: S608 (all of it stands here)
CHAPTERS = (
    ("Messages by channel", CHANNELS),
    ("The last conversations of each channel, and their leads", LEADS),
    ("First response by channel, of talks that customers began", FIRST_RESPONSES),
    ("Replies by agent", AGENTS),
    ("Who waits now, longest first", WAITING),
)
"""What is shown of the database, in this order: a title, and a query."""
