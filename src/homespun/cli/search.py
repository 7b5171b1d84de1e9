"""`homespun search`: passages that fit a query."""

from typing import Annotated

import typer

from homespun.cli.flags import Json, LibraryName, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.retrieval.find import RerankOptions
from homespun.retrieval.search import SearchOptions

app = typer.Typer()


@app.command()
@flags
def search(
    options: SearchOptions,
    reranking: RerankOptions,
    query: Annotated[str, typer.Argument(help="what to look for")],
    library: LibraryName = "default",
    model: ModelName = None,
    explain: Annotated[bool, typer.Option("--explain", help="show the score of every stage")] = False,
    as_json: Json = False,
) -> None:
    """Find the passages of a library that fit a query."""
    from homespun.models.home import Home
    from homespun.retrieval.find import find_passages

    with shown_progress() as progress:
        hits = find_passages(Home.open(), library, query, options, reranking, model=model, progress=progress)
    if as_json:
        print_json({"query": query, "library": library, "hits": hits})
        return
    if not hits:
        print("Nothing was found.")
    for number, hit in enumerate(hits, 1):
        place = hit.passage.document + (f", page {hit.passage.page}" if hit.passage.page else "")
        heading = f" - {' > '.join(hit.passage.headings)}" if hit.passage.headings else ""
        ranks = (
            f"keywords {hit.keyword_rank or '-'}, meaning {hit.vector_rank or '-'} ({hit.vector_score:.2f})"
        )
        print(f"{number:>2}. {place}{heading}  [{ranks}]")
        print("    " + " ".join(hit.passage.text.split())[:240])
        if hit.also_in:
            print(f"    also in: {', '.join(hit.also_in)}")
        if explain:
            print("    " + ", ".join(f"{stage} {score:.3g}" for stage, score in hit.stages.items()))
