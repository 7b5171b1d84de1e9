"""What the owner of a library is told about its embedder: languages it does not speak, texts that leave."""

from collections import Counter
from contextlib import suppress

from homespun.errors import HomespunError
from homespun.models.home import Home
from homespun.retrieval.library import Library

#: Documents looked at, evenly over the library, and the share of a language that is worth a warning.
_SAMPLE = 24
_SHARE = 0.2


def library_notices(library: Library) -> list[str]:
    """Sentences for the ingest report and `homespun libraries show`; none where there is nothing to say."""
    found = [remote_notice(library), language_warning(library)]
    return [sentence for sentence in found if sentence]


def remote_notice(library: Library) -> str:
    """Says where the library's texts are sent to be embedded; empty where they stay on this machine."""
    address = _facts_of_embedder(library)[1]
    return (
        f"Passages and questions of this library are sent to {address}, which embeds them." if address else ""
    )


def language_warning(library: Library) -> str:
    """Says that the embedder does not speak a language of the library; empty where it does or is not known."""
    spoken = _facts_of_embedder(library)[0]
    if not spoken:
        return ""
    languages = _languages(library)
    total = sum(languages.values())
    others = [code for code, n in languages.most_common() if code not in spoken and n >= _SHARE * total]
    if not others:
        return ""
    return (
        f"Documents in {', '.join(others)}: the embedder {library.facts.embedder_name} speaks "
        f"{', '.join(spoken)} only, so they are found by keywords and hardly by meaning. Use a multilingual "
        "embedder (homespun embedders add) in a new library."
    )


def _facts_of_embedder(library: Library) -> tuple[tuple[str, ...], str]:
    """Languages, and the server that texts go to, without opening what is not open."""
    from homespun.engines.providers import remote_model
    from homespun.retrieval.embedders.card import folder_languages
    from homespun.retrieval.embedders.opening import description

    home = Home(library.path.parent.parent)
    with suppress(HomespunError):
        registered = home.embedder(library.facts.embedder_name)
        stated = description(registered.path)
        remote = remote_model(str(stated["model"])) if stated["kind"] == "remote" else None
        told = (str(stated["language"]),) if stated.get("language") else ()
        languages = told or folder_languages(registered.path, [registered.name])
        return languages, remote.provider.base_url if remote else ""
    return (), ""


def _languages(library: Library) -> Counter[str]:
    from homespun.documents.language import text_language

    documents = [document for document in library.documents() if document.content_id]
    step = max(1, len(documents) // _SAMPLE)
    texts = (library.tables.text(document.content_id) or "" for document in documents[::step])
    return Counter(language for text in texts if (language := text_language(text)))
