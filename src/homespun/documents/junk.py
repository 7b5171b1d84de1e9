"""What systems, editors and programs leave between a person's documents."""

_NAMES = frozenset(
    ("thumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "node_modules", "$recycle.bin")
)


def junk_reason(name: str) -> str:
    """Why a file or folder of this name is no document, as a phrase; empty if it may be one."""
    if name.startswith("."):
        return "hidden"
    if name.startswith("~$") or name.lower() in _NAMES:
        return "left by the system or a program"
    return ""
