"""A client of Wordcounts: the words of pages, files and texts, with their contexts, phrases and keywords.

import wordcounts

client = wordcounts.Client()  # the service at WORDCOUNTS_URL, else the one on this machine
job = client.count("https://example.com/")
for row in job.words(limit=10):
    print(row.count, row.word)
"""

from .client import Client, Corpus, Options
from .errors import CannotRead, JobFailed, Refused, StillRunning, Unreachable, WordcountsError
from .many import Counted, Counts, MergedWord
from .models import (
    Collocate,
    Context,
    CorpusContext,
    CorpusPhrase,
    CorpusWord,
    Document,
    Job,
    JobError,
    Keyword,
    Page,
    Phrase,
    Sitemap,
    Source,
    Totals,
    Word,
)
from .rows import Rows

__version__ = "0.3.0"
__all__ = [
    "CannotRead",
    "Client",
    "Collocate",
    "Context",
    "Corpus",
    "CorpusContext",
    "CorpusPhrase",
    "CorpusWord",
    "Counted",
    "Counts",
    "Document",
    "Job",
    "JobError",
    "JobFailed",
    "Keyword",
    "MergedWord",
    "Options",
    "Page",
    "Phrase",
    "Refused",
    "Rows",
    "Sitemap",
    "Source",
    "StillRunning",
    "Totals",
    "Unreachable",
    "Word",
    "WordcountsError",
]
