"""The section `deliver` of a channel: where its files go, and whether a person says so first."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from recsys.delivery.apis import APIS
from recsys.settings import Settings

API = "api"
LOCAL = ("file", "local")


class Deliver(Settings):
    """Where a channel's published files go. Without this section they stay where they are, and people import them."""

    to: str = Field(
        max_length=1000,
        description="A folder as a URL, such as sftp://files.example.com/import or s3://bucket/folder (whatever fsspec "
        "opens), or a tool's own API: api:klaviyo (kind klaviyo, format json), api:braze (kind braze, format jsonl)",
    )
    connection: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$")] | None = Field(
        None,
        description="Name of the credentials: environment variable RECSYS_CONNECTION_<NAME>, in Airflow a connection",
    )
    approve: bool = Field(False, description="A person has to approve every night's files before they leave")

    @model_validator(mode="before")
    @classmethod
    def _no_credentials(cls, content: Any) -> Any:
        """Looked at first and for the whole section, so that no error quotes the URL."""
        to = content.get("to") if isinstance(content, dict) else None
        if isinstance(to, str) and any(sign in to for sign in "@?#"):
            raise ValueError(
                "to: holds a login, a password or settings (@, ? or #), and a shop file must not. Put them into the "
                "connection: name it here as `connection`, and set the environment variable RECSYS_CONNECTION_<NAME>"
            )
        return content

    @field_validator("to")
    @classmethod
    def _known_kind_of_target(cls, to: str) -> str:
        scheme, _, rest = to.partition(":")
        if scheme == API:
            if rest not in APIS:
                raise ValueError(f"there is no such API; allowed: {', '.join(sorted(APIS)) or 'none'}")
            return to
        if "://" not in to:
            raise ValueError("allowed: a URL such as sftp://files.example.com/import, or api:NAME")
        from fsspec.registry import known_implementations, registry

        if scheme not in {*known_implementations, *registry}:
            raise ValueError(f"{scheme} is no kind of target that fsspec knows; common ones: file, sftp, s3")
        url = urlsplit(to)
        if scheme in LOCAL and (url.netloc or len(url.path) < 2):
            raise ValueError("a local folder is file:// and its absolute path, as in file:///srv/outgoing")
        return to

    @property
    def api(self) -> str | None:
        """The API's name; None for a folder."""
        scheme, _, name = self.to.partition(":")
        return name if scheme == API else None

    @property
    def local_folder(self) -> Path | None:
        """The folder, when it is one of this machine; None for any other target."""
        url = urlsplit(self.to)
        return Path(unquote(url.path)) if url.scheme in LOCAL else None
