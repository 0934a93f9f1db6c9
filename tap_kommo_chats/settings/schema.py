"""Which settings there are, in the form the SDK and Meltano read."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

DEFAULT_API_URL = "https://amojo.kommo.com"
DEFAULT_REQUEST_TIMEOUT = 30
DEFAULT_LOOKBACK_DAYS = 1
DEFAULT_MAX_CONCURRENCY = 8
DEFAULT_REQUESTS_PER_SECOND = 7
DEFAULT_TALK_IDS_REQUESTS = 5000

SETTINGS_SCHEMA: dict[str, Any] = th.PropertiesList(
    th.Property(
        "channel_secret",
        th.StringType,
        secret=True,
        title="Channel secret",
        description="The secret of your chat channel. It signs every request to the "
        "Chats API. Not needed without a channel of your own.",
    ),
    th.Property(
        "scope_id",
        th.StringType,
        title="Scope id",
        description="The channel in one account: {channel_id}_{account's amojo_id}. "
        "Kommo returns it when the channel is connected to the account.",
    ),
    th.Property(
        "channel_id",
        th.StringType,
        title="Channel id",
        description="The channel alone, in place of scope_id. With the CRM the account "
        "tells the other half.",
    ),
    th.Property(
        "conversation_ids",
        th.ArrayType(th.StringType),
        title="Conversation ids",
        description="Kommo's UUIDs of the conversations to read: the chat_id of a "
        "talk, or message.conversation.id of a chat webhook.",
    ),
    th.Property(
        "conversations_file",
        th.StringType,
        title="Conversations file",
        description="A path or a URL of a list of conversations: .txt with one id a "
        "line, .csv or .jsonl with conversation_id and perhaps updated_at. With .gz "
        "at the end it is unpacked.",
    ),
    th.Property(
        "conversations_sql_url",
        th.StringType,
        secret=True,
        title="Conversations database",
        description="SQLAlchemy's URL of a database that lists conversations, such as "
        "postgresql://user:password@host:5432/database.",
    ),
    th.Property(
        "conversations_sql_query",
        th.StringType,
        title="Conversations query",
        description="A SELECT with the columns conversation_id and perhaps "
        "updated_at, the time when something last happened. :account_id stands for "
        "Kommo's number of the account, which the CRM tells.",
    ),
    th.Property(
        "crm_url",
        th.StringType,
        title="CRM URL",
        description="Your account's address, such as https://example.kommo.com, to "
        "find conversations, and which of them changed, through chat events, and to "
        "load who and what they are about. With crm_access_token it is enough.",
    ),
    th.Property(
        "crm_access_token",
        th.StringType,
        secret=True,
        title="CRM access token",
        description="A long-lived token of a private integration in that account, "
        "made by an administrator.",
    ),
    th.Property(
        "crm_origins",
        th.ArrayType(th.StringType),
        title="CRM origins",
        description="The origins of your channel's talks, such as "
        "amo.ext.12345678. Those of other channels are left out.",
    ),
    th.Property(
        "native_channels",
        th.StringType,
        title="Native channels",
        description="Whether the messages of channels that are not your own are read, "
        "such as WhatsApp's: true, or a list of origins. Needs the CRM, a plan with "
        'the Chats API add-on, and a token with the scope "External chat history".',
    ),
    th.Property(
        "talk_ids",
        th.StringType,
        title="Talk ids",
        description="Numbers of talks that are asked for besides those that the CRM "
        "lists, such as 1-250000, because its list may end early. Goes on over many "
        "runs.",
    ),
    th.Property(
        "talk_ids_requests",
        th.IntegerType,
        default=DEFAULT_TALK_IDS_REQUESTS,
        title="Requests for talk ids",
        description="How many requests one run makes for talk_ids, to find talks and "
        "to read them. What was begun is ended, which may take some more.",
    ),
    th.Property(
        "search_crm",
        th.BooleanType,
        default=True,
        title="Search the CRM",
        description="false where another run searches the CRM, and a file or a "
        "database lists the talks that it found. One search is then enough for all "
        "shards.",
    ),
    th.Property(
        "found_talks_file",
        th.StringType,
        title="Found talks file",
        description="A path or a URL, .jsonl or .jsonl.gz, where the run keeps all "
        "talks that its searches of the CRM found, for shards to read as "
        "conversations_file.",
    ),
    th.Property(
        "ignored_conversation_ids",
        th.ArrayType(th.StringType),
        title="Ignored conversation ids",
        description="Conversations that are not read, whoever names them, such as "
        "those that keep failing. One that is taken out here is asked for again, from "
        "where it was.",
    ),
    th.Property(
        "shard",
        th.StringType,
        title="Shard",
        description="Which part of the conversations to read, such as 2/8 for the "
        "second of eight. Each part has a state of its own, and takes so many parts "
        "of requests_per_second, but at least 1.",
    ),
    th.Property(
        "api_url",
        th.StringType,
        default=DEFAULT_API_URL,
        title="Chats API URL",
        description="Where the Chats API is. Accounts on amoCRM's own domains use "
        "https://amojo.amocrm.ru or https://amojo.amocrm.com.",
    ),
    th.Property(
        "start_date",
        th.DateTimeType,
        title="Start date",
        description="Messages sent before it are neither read nor emitted, such as "
        "2024-01-01T00:00:00Z. Without it, everything is read.",
    ),
    th.Property(
        "request_timeout",
        th.IntegerType,
        default=DEFAULT_REQUEST_TIMEOUT,
        title="Request timeout",
        description="Seconds to wait for the server to connect or to send something.",
    ),
    th.Property(
        "lookback_days",
        th.IntegerType,
        default=DEFAULT_LOOKBACK_DAYS,
        title="Look-back",
        description="Days in which a message may be late or edited and still be found. "
        "A conversation is asked for again a few times so long after something "
        "happened in it. 0 turns it off.",
    ),
    th.Property(
        "max_concurrency",
        th.IntegerType,
        default=DEFAULT_MAX_CONCURRENCY,
        title="Concurrency",
        description="How many conversations are read at once.",
    ),
    th.Property(
        "requests_per_second",
        th.IntegerType,
        default=DEFAULT_REQUESTS_PER_SECOND,
        title="Requests per second",
        description="How many requests may reach Kommo in any second, all workers "
        "together. 0 sets no limit, until Kommo refuses a request. Kommo blocks "
        "addresses that ask for more than 7.",
    ),
    th.Property(
        "drop_fields",
        th.ArrayType(th.StringType),
        title="Fields to drop",
        description="Fields that are left out wherever they come, as dotted paths such "
        "as sender.phone, or talks:origin for those of one stream.",
    ),
    th.Property(
        "hash_fields",
        th.ArrayType(th.StringType),
        title="Fields to hash",
        description="Fields of which a keyed hash leaves, the same for the same value "
        "in all runs and streams. Written like drop_fields.",
    ),
    th.Property(
        "hash_secret",
        th.StringType,
        secret=True,
        title="Hash secret",
        description="The key of the hashes: a long random text of your own. Another "
        "one makes other hashes.",
    ),
).to_dict()
"""JSON schema of the settings."""
