"""The table of faults as the server uses it: as shipped, with the site's own changes, under the profile that is set."""

from pathlib import Path

from tocsin.core import faults
from tocsin.core.faults import Catalogue, CatalogueError, HealthPolicy, read_catalogue
from tocsin.server.settings import SettingsError

SHIPPED = Path(faults.__file__).parent


def load_catalogue(policy: HealthPolicy) -> Catalogue:
    """Raises SettingsError when the site's file cannot be used."""
    try:
        own = Path(policy.catalogue).expanduser().read_bytes() if policy.catalogue else b""
        return read_catalogue(
            (SHIPPED / "catalogue.toml").read_bytes(),
            (SHIPPED / "codes.json").read_bytes(),
            own,
            profile=policy.profile,
            observed=frozenset(policy.observe),
        )
    except OSError as error:
        raise SettingsError(f"health.catalogue {policy.catalogue}: cannot be read: {error.strerror}") from error
    except CatalogueError as error:
        file = f", with {policy.catalogue}" if policy.catalogue else ""
        raise SettingsError(f"setting health{file}: {error}") from error
