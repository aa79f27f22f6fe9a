"""The tables. JSON is kept as text, as it is written and read whole; times are Unix milliseconds."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()


class _Line(TypeDecorator[str]):
    """VARCHAR. PostgreSQL cannot keep a NUL, which becomes U+FFFD there; JSON has none, as it escapes them."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """On the way to the database."""
        return value.replace("\0", "\ufffd") if value and dialect.name == "postgresql" else value


class _Text(_Line):
    """TEXT, with the same rule."""

    impl = Text
    cache_ok = True


_ID = _Line(128)
_SERIAL = BigInteger().with_variant(Integer, "sqlite")

_UNDER_WAY = text("finished_at IS NULL")
"""A thread has one run at a time."""

runs = Table(
    "runs",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", _Line(16), nullable=False),
    Column("status", _Line(16), nullable=False),
    Column("confirmed", Boolean, nullable=False),  # Temporal has the workflow; only then is the run listed
    Column("version", BigInteger, nullable=False),  # number of the last lifecycle event that is in the row
    Column("epic_id", _ID),
    Column("agent", _Line(32), nullable=False),
    Column("model", _Text()),
    Column("working_dir", _Text()),
    Column("thread_id", _ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("current_turn", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("pid", BigInteger),
    Column("turns", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("completion", _Text()),
    Column("error", _Text()),
    Column("cursor_seq", BigInteger, nullable=False),
    Column("cursor", _Line(40)),
    Column("request", _Text(), nullable=False),
    Column("trace_context", _Text(), nullable=False),
    Column("baseline", _Text()),  # what the completion log held when the run began
    Column("last_control", BigInteger, nullable=False, server_default="0"),  # the newest that was accepted for the run
    Index("runs_newest", "created_at", "id"),
    Index("runs_status", "status"),
    Index("runs_epic", "epic_id"),
    Index("runs_place", "working_dir"),
    Index("runs_thread", "thread_id"),
    Index("runs_busy", "thread_id", unique=True, sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
)

controls = Table(
    "controls",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("action", _Line(16), nullable=False),
    Column("mode", _Line(16), nullable=False),
    Column("reason", _Text(), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,  # an id that was deleted is never given again: the workflow remembers the last one
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", _Line(255), primary_key=True),
    Column("fingerprint", _Line(64), nullable=False),
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

responses = Table(
    "responses",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("turn", Integer, nullable=False),
    Column("thread_id", _ID, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("cursor_seq", BigInteger, nullable=False),
    Column("header", _Text(), nullable=False),  # the response without its items
    Column("checkpoint", _Text(), nullable=False),  # what else the fold needs to go on
    UniqueConstraint("run_id", "turn"),
    Index("responses_thread", "thread_id", "created_at"),
)

items = Table(
    "items",
    metadata,
    Column("response_id", _ID, ForeignKey("responses.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("item", _Text(), nullable=False),
)

pieces = Table(
    "pieces",
    metadata,
    Column("response_id", _ID, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True),  # how many characters of the item's text come before
    Column("text", _Text(), nullable=False),  # as JSON
    ForeignKeyConstraint(["response_id", "position"], ["items.response_id", "items.position"], ondelete="CASCADE"),
)
"""What came to the text of an item since its row was written; they go when the row is written anew."""

prompts = Table(
    "prompts",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("owner", _Line(64), nullable=False),  # the execution that has this attempt
    Column("text", _Text(), nullable=False),
    Column("report", _Text()),  # of an attempt that did its turn
    Column("carry", _Text()),  # what the attempt left for the next turn, however it ended
)

outputs = Table(
    "outputs",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),  # zlib
)

archives = Table(
    "archives",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("archived", BigInteger, nullable=False, server_default="0"),  # SEQ up to which the chunks reach
    Column("trimmed", BigInteger, nullable=False, server_default="0"),  # SEQ up to which Redis has let go
    Column("whole", Boolean, nullable=False, server_default=false()),  # the run's end is in the chunks
    Column("settled", Boolean, nullable=False, server_default=false()),  # Redis has nothing of it any more
    Column("reserved", BigInteger, nullable=False, server_default="10000"),  # SEQ up to which the log may go
    Column("lifecycle", BigInteger, nullable=False, server_default="0"),  # number of the run's last word in the chunks
    Column("sealed", BigInteger, nullable=False, server_default="0"),  # epoch up to which who never wrote is settled
    Index("archives_open", "run_id", sqlite_where=text("NOT settled"), postgresql_where=text("NOT settled")),
)

chunks = Table(
    "chunks",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),  # of its newest event
    Column("size", BigInteger, nullable=False),  # bytes of its events
    Column("data", LargeBinary, nullable=False),  # see cody.archive.packing
    Index("chunks_age", "at"),
)

said = Table(
    "said",
    metadata,
    Column("run_id", _ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),  # among the run's own events
    Column("type", String(64), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
)

pulses = Table(
    "pulses",
    metadata,
    Column("process", _Line(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
)
