"""The leaderboard: a static site of results, which opens from disk and loads nothing else.

::

    <out>/index.html                    every board
    <out>/boards/<id>/<panel>.html      one table of ranks, with board.csv and board.json
    <out>/runs/<key>.html               one record
    <out>/methods/<id>.html             one method
    <out>/data/<id>.html                one dataset, as its digest names it
    <out>/problems.html                 what could not be shown
    <out>/board.css  board.js           shared by all
    <out>/genebench-board.json          marks the folder as a board's

Pages are named by keys and hashes, so that no name of a plugin or a file becomes a path.
"""

from __future__ import annotations

from genebench.leaderboard.assembly import Built, build

__all__ = ["Built", "build"]
