"""``penny kb index|search|eval|enrich``: what the knowledge base serves, finds, and gets right."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from kb.base import KnowledgeBase
from kb.enrich import ACCEPTED, PROMPT_VERSION, PROPOSED, ChatModel, accept, propose
from kb.eval_table import write_row
from kb.evaluation import SHOWN, EvalReport, evaluate, find_answers, read_hand, read_questions
from kb.headings import hide_headings, index_aside
from kb.indexer import Progress as OnProgress
from kb.search import search_view
from kb.settings import KbSettings
from penny.errors import PennyError


# Settings and collection, where the command line names neither.
Configure = Callable[[argparse.Namespace], tuple[KbSettings, str]]
# The language model that ``enrich`` asks, where the command line names none.
FindModel = Callable[[argparse.Namespace], ChatModel]

_SAMPLE = "kb://empresa/documentos"
_BAR_FROM_FILES = 50


def _own_settings(_: argparse.Namespace) -> tuple[KbSettings, str]:
    return KbSettings(), _SAMPLE


def _named_model(arguments: argparse.Namespace) -> ChatModel:
    return ChatModel(arguments.url or "http://127.0.0.1:8000/v1", arguments.model or "default", "")


def add_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    *,
    configure: Configure = _own_settings,
    find_model: FindModel = _named_model,
    add_options: Callable[[argparse.ArgumentParser], None] = lambda _: None,
) -> None:
    """Add ``kb`` with its own commands; each sets ``run`` to what it calls.

    Args:
        configure: settings and collection where the command line names none.
        find_model: the model that writes callers' questions.
        add_options: what ``configure`` wants to read of the command line.
    """
    parser = subparsers.add_parser("kb", help="the knowledge base: index, search, eval, enrich")
    commands = parser.add_subparsers(dest="kb_command", required=True, metavar="COMMAND")
    index = commands.add_parser("index", help="bring the index up to the documents")
    index.set_defaults(run=_run_index)
    search = commands.add_parser("search", help="ask as a caller would")
    search.add_argument("text", nargs="+", help="the question")
    search.add_argument("--limit", type=int, default=5)
    search.add_argument("--language", choices=["es", "en"])
    search.set_defaults(run=_run_search)
    evaluation = commands.add_parser("eval", help="recall, latency and false answers")
    evaluation.add_argument("file", nargs="?", type=Path, default=Path("kb/eval/test.jsonl"))
    evaluation.add_argument("--misses", action="store_true", help="list what was not found first")
    evaluation.add_argument(
        "--headings",
        action="store_true",
        help="ask the headings that are questions, hidden; FILE's count where nothing answers",
    )
    evaluation.add_argument("--table", type=Path, help="document whose table gets the figures")
    evaluation.set_defaults(run=_run_eval)
    enrich = commands.add_parser("enrich", help="callers' questions, written by a model")
    enrich.add_argument("--url", help="OpenAI-compatible server of the model")
    enrich.add_argument("--model", help="name of the model")
    enrich.add_argument("--measure", type=Path, help="questions: with the proposals and without")
    enrich.add_argument("--accept", action="store_true", help="let the proposals count")
    enrich.set_defaults(run=_run_enrich, find_model=find_model)
    for command in (index, search, evaluation, enrich):
        command.add_argument("--documents", type=Path, help="folder of the documents")
        command.add_argument("--index", type=Path, help="folder of the index")
        command.set_defaults(configure=configure)
        add_options(command)
        if command is not index:
            command.add_argument("--ref", help="collection: kb://company/collection")


@contextmanager
def show_progress(console: Console | None = None) -> Iterator[OnProgress]:
    """Draw a bar on the error stream once a pass has many files; yields what to tell."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console or Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("Indexing", total=None, visible=False)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=total >= _BAR_FROM_FILES)

        yield tell


@contextmanager
def _opened(
    arguments: argparse.Namespace, *, embed: bool = True
) -> Iterator[tuple[KnowledgeBase, str]]:
    """The knowledge base that is meant, whole, and the collection that is asked."""
    settings, ref = arguments.configure(arguments)
    settings = replace(
        settings,
        documents=arguments.documents or settings.documents,
        index=arguments.index or settings.index,
    )
    with show_progress() as progress:
        base = KnowledgeBase.open(settings, progress)
        if embed:
            base.embed(progress)
    try:
        yield base, getattr(arguments, "ref", None) or ref
        if base.fault():
            _tell(base.fault(), "yellow")
    finally:
        base.close()


def _tell(words: str, style: str = "") -> None:
    """Sentences on stderr as they are: names of files are not folded, brackets are no markup."""
    console = Console(stderr=True)
    console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)


def _guarded(error: PennyError | OSError) -> int:
    _tell(str(error), "red")
    return 1


def _run_index(arguments: argparse.Namespace) -> int:
    try:
        with _opened(arguments) as (base, _):
            table = Table("collection", "documents", "passages", "problems")
            for info in base.collections():
                table.add_row(info.ref, str(info.documents), str(info.passages), str(info.problems))
            problems = base.problems()
    except (PennyError, OSError) as error:
        return _guarded(error)
    Console().print(table)
    for problem in problems:
        _tell(f"{problem.file}: {problem.reason}")
    return 1 if problems else 0


def _run_search(arguments: argparse.Namespace) -> int:
    try:
        with _opened(arguments) as (base, ref):
            result = base.search(
                ref,
                " ".join(arguments.text),
                limit=arguments.limit,
                language=arguments.language,
            )
    except (PennyError, OSError) as error:
        return _guarded(error)
    console = Console()
    console.print(f"{result.query_normalized}  ({result.took_ms:.2f} ms)", style="dim")
    if not result.relevant:
        console.print("nothing relevant")
        return 3
    for hit in result.hits:
        where = f"{hit.passage.source}, {hit.passage.position}"
        console.print(f"[bold]{hit.score:.2f}[/bold] {' > '.join(hit.passage.heading)}  ({where})")
        console.print(f"     {hit.passage.speakable}", markup=False, highlight=False)
    return 0


def _run_eval(arguments: argparse.Namespace) -> int:
    try:
        with _opened(arguments, embed=not arguments.headings) as (base, ref):
            settings, passages = base.settings, base.view(ref).read_all()
            with TemporaryDirectory() as place:
                if arguments.headings:
                    passages, questions = hide_headings(passages)
                    view = index_aside(passages, Path(place), settings)
                    nothing = [each for each in read_questions(arguments.file) if not each.says]
                    questions += [each for each in nothing if not each.answers]
                else:
                    view = base.view(ref)
                    questions = find_answers(read_questions(arguments.file), passages)
                search = partial(
                    search_view,
                    view,
                    settings=settings,
                    limit=SHOWN,
                    language=None,
                    filters=None,
                    min_score=0.0,
                )
                report = evaluate(search, questions)
        if arguments.table:
            by = "words and vectors" if view.vectors is not None else "words"
            hand = "the documents' authors" if arguments.headings else read_hand(arguments.file)
            name = f"{ref}, headings" if arguments.headings else ref
            write_row(arguments.table, name, hand, by, report)
    except (PennyError, OSError) as error:
        return _guarded(error)
    _print_report(report, Console(file=sys.stdout))
    if arguments.misses:
        for text, wanted, found in report.misses:
            told = f"{text}\n    wanted {wanted}, found {found}"
            Console().print(told, markup=False, highlight=False, soft_wrap=True)
    return 0


def _run_enrich(arguments: argparse.Namespace) -> int:
    console = Console()
    try:
        with _opened(arguments, embed=False) as (base, ref):
            folder, passages = base.folder(ref), base.view(ref).read_all()
        if arguments.measure:
            _measure(arguments.measure, folder, ref, console)
        elif arguments.accept:
            _tell(f"{accept(folder)} phrases count from now on: {folder / ACCEPTED}")
        else:
            model = arguments.find_model(arguments)
            with show_progress() as told:
                made_by = f"{model.name}, prompt {PROMPT_VERSION}, {datetime.now(UTC).date()}"
                count = propose(
                    passages, model.ask, folder, made_by, lambda at: told(at, len(passages))
                )
            _tell(f"{count} passages in {folder / PROPOSED}: read it, then --measure it")
    except (PennyError, OSError) as error:
        return _guarded(error)
    return 0


def _measure(file: Path, folder: Path, ref: str, console: Console) -> None:
    """Ask the questions of a copy of the collection, without the proposals and with them; by words
    alone."""
    questions = read_questions(file)
    for name in ("without the proposals", "with the proposals"):
        with TemporaryDirectory() as place:
            copy = Path(place) / "documents" / ref.removeprefix("kb://")
            shutil.copytree(folder, copy)
            if name.startswith("with the"):
                accept(copy)
            base = KnowledgeBase.open(KbSettings(Path(place) / "documents", Path(place) / "index"))
            asked = find_answers(questions, base.view(ref).read_all())
            search = partial(base.search, ref, limit=SHOWN, min_score=0.0)
            report = evaluate(search, asked)
            base.close()
        console.print(name)
        _print_report(report, console)


def _print_report(report: EvalReport, console: Console) -> None:
    table = Table("questions", "asked", "recall@1", "recall@5", "MRR", "raw@1", f"raw@{SHOWN}")
    for name, score in (*sorted(report.groups.items()), ("all", report.whole)):
        counts = (score.first, score.in_five, score.reciprocal, score.ranked, score.shown)
        shares = (f"{score.share(count):.3f}" for count in counts)
        table.add_row(name, str(score.asked), *shares)
    console.print(table)
    console.print(
        f"unanswerable {report.unanswerable}, false answers {report.false_answers} "
        f"({report.false_answer_rate:.1%}); latency p50 {report.p50_ms:.2f} ms, "
        f"p99 {report.p99_ms:.2f} ms"
    )
