"""Services: what the desk's routes work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from desk.answers import Answers
from desk.channels import Channel, FileChannel, SmtpChannel
from desk.decisions import Desk
from desk.figures import Figures
from desk.follow_ups import FollowUps
from desk.held_approvals import HeldApprovals
from desk.intake import Intake
from desk.live import Live
from desk.notices import Notices
from desk.oidc import Issuer
from desk.outbox import Outbox
from desk.ratings import Ratings
from desk.releases import ReleaseStages
from desk.settings import DeskSettings
from desk.together import Together
from desk.webhooks import Webhook
from policies.countersigning import countersigning
from policies.manifest import Manifest, manifest
from policies.rollout import rollout
from policies.signature import BadKey, PublicKeys, SigningKey, parse_public_keys, parse_signing_key
from records.books import Books
from runtime.startup import check_books


@dataclass(frozen=True)
class DeskServices:
    """The desk at work, with its channel and the manifest."""

    books: Books
    desk: Desk
    intake: Intake
    outbox: Outbox
    manifest: Manifest
    public_url: str
    live: Live
    notices: Notices
    ratings: Ratings
    release_stages: ReleaseStages
    session_secret: str
    held: HeldApprovals
    answers: Answers
    together: Together
    figures: Figures
    issuer: Issuer | None = None


def channel_of(settings: DeskSettings) -> Channel:
    """The channel that the settings name."""
    if settings.channel == "file":
        return FileChannel(settings.outbox_folder, settings.mail_from)
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return SmtpChannel(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        username=settings.smtp_username,
        password=password,
        starttls=settings.smtp_starttls,
    )


def webhook_of(settings: DeskSettings) -> Webhook | None:
    """Who else is told; None where nobody is named. BadKey where nothing could sign it."""
    if not settings.webhook_url:
        return None
    if settings.webhook_secret is None:
        raise BadKey(
            "DESK_WEBHOOK_URL is set and DESK_WEBHOOK_SECRET is not: nothing could be told from a forgery"
        )
    return Webhook(settings.webhook_url, settings.webhook_secret)


@asynccontextmanager
async def open_services(settings: DeskSettings, *, size: int = 12) -> AsyncIterator[DeskServices]:
    """The services on their books. Raises BadKey, BooksAway, CannotWork."""
    url = settings.database_url.get_secret_value()
    key = read_private_key(settings.key_file)
    intake_key = read_private_key(settings.intake_key_file) if settings.intake_key_file else None
    intake_keys = read_trusted_keys(settings.intake_keys)
    pinned = manifest(settings.manifest)
    await check_books(url)
    public_url = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    domain = settings.mail_from.rpartition("@")[2]
    channel = channel_of(settings)
    secret = settings.session_secret.get_secret_value()
    async with Books.open(url, size=size) as books:
        ratings = Ratings(books, secret, public_url)
        intake = Intake(books, pinned, intake_keys, intake_key, settings.mode)
        desk = Desk(books, key)
        held = HeldApprovals(books, desk, settings.take_back_seconds)
        rating_link = ratings.link if settings.public_url else None
        yield DeskServices(
            books=books,
            desk=desk,
            intake=intake,
            outbox=Outbox(books, channel, domain, FollowUps(books, intake), rating_link),
            manifest=pinned,
            public_url=public_url,
            live=Live(url),
            notices=Notices(
                books,
                channel if settings.notify == "channel" else None,
                webhook_of(settings),
                domain,
                public_url,
            ),
            ratings=ratings,
            session_secret=secret,
            held=held,
            answers=Answers(books, intake),
            together=Together(books, pinned, desk, held, countersigning()),
            figures=Figures(),
            issuer=Issuer.of(settings, books),
            release_stages=ReleaseStages(books, rollout(settings.rollout)),
        )


def read_private_key(file: Path) -> SigningKey:
    """The key in a file; BadKey names it where it is missing or none."""
    return parse_signing_key(_text(file), str(file))


def read_trusted_keys(file: Path) -> PublicKeys:
    """The public keys in a file; BadKey names it where it is missing or holds none."""
    return parse_public_keys(_text(file), str(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadKey(f"{file}: {error.strerror}: run countersign db up") from None
