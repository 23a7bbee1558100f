"""Where everything is that people may change, found by the words they type, in both languages."""

from __future__ import annotations

from msgspec import Struct

from flowfuse.pages.identity import Identity
from flowfuse.pages.language import LANGUAGES, say


class Entry(Struct, frozen=True):
    """A thing that can be changed: where, what it is called, what else people call it, who may."""

    address: str
    title: str
    words: str
    permission: str = "self"

    def fits(self, typed: list[str]) -> bool:
        """Whether all that was typed is in its names, in whichever language."""
        names = " ".join(say(language, self.title) for language in LANGUAGES)
        text = f"{self.title} {names} {self.words}".lower()
        return all(word in text for word in typed)


_ACCOUNT, _MEMBERS = "/settings/account", "/settings/members"
ENTRIES = (
    Entry(f"{_ACCOUNT}#name", "Name", "display name user profile account anzeigename benutzer profil konto"),
    Entry(f"{_ACCOUNT}#email", "E-mail", "email mail address sign in login adresse anmelden"),
    Entry(f"{_ACCOUNT}#language", "Language", "english german deutsch englisch locale translation sprache"),
    Entry(f"{_ACCOUNT}#theme", "Theme", "dark light mode appearance colour color dunkel hell farbe aussehen"),
    Entry(
        f"{_ACCOUNT}#single_keys", "Single letters are keys",
        "shortcuts keyboard hotkeys accessibility tastenkürzel tastatur kürzel barrierefreiheit",
    ),
    Entry(f"{_ACCOUNT}#password", "Password", "passwort kennwort passphrase sign in login anmelden"),
    Entry(
        f"{_ACCOUNT}#second-factor", "Second factor",
        "2fa totp mfa two factor authenticator recovery codes zwei-faktor wiederherstellung",
    ),
    Entry(
        f"{_ACCOUNT}#sessions", "Where you are signed in",
        "session sessions devices browser sign out logout sitzung sitzungen geräte abmelden",
    ),
    Entry(
        "/settings/keys", "API keys",
        "api key token bearer access scopes expiry schlüssel zugriff ablauf programm program",
    ),
    Entry(
        _MEMBERS, "Members and their roles",
        "member user people team role owner admin editor operator viewer mitglied benutzer rolle rechte "
        "permissions remove entfernen",
        "administer",
    ),
    Entry(
        f"{_MEMBERS}#s-in", "Invite somebody",
        "invitation add member user einladen einladung", "administer",
    ),
    Entry(
        f"{_MEMBERS}#s-wo", "Workspaces",
        "workspace rename new tenant arbeitsbereich umbenennen mandant", "own",
    ),
    Entry(
        "/settings/backup#s-bk", "Backups in the data folder",
        "backup back up now restore copy sicherung sichern wiederherstellen kopie", "administer",
    ),
    Entry(
        "/settings/history#s-use", "What takes the space",
        "disk usage storage space size speicher platz festplatte belegung", "administer",
    ),
    Entry(
        "/connections", "Connections",
        "credential secret oauth password key zugangsdaten geheimnis verbindung", "read",
    ),
    Entry("/settings/about", "About", "version licence license libraries lizenz bibliotheken über", "read"),
)  # fmt: skip


def found_entries(typed: str, identity: Identity) -> list[Entry]:
    """What fits and may be changed by whoever asks."""
    words = typed.lower().split()
    return [each for each in ENTRIES if identity.may(each.permission) and each.fits(words)]
