"""The leaderboard: a static site of results. It opens from disk and needs no network.

::

    <out>/index.html                    every board and every method
    <out>/boards/<id>/<panel>.html      one table of ranks, with board.csv and board.json
    <out>/boards/<id>/*.js              the numbers of the table and of the charts
    <out>/genes/<id>.js                 names of genes, for the charts
    <out>/runs/<key>.html               one record
    <out>/methods/<id>.html             one method
    <out>/data/<id>.html                one dataset, named by its digest
    <out>/made/<id>.html                one command, machine and installation
    <out>/problems.html                 records and folders that are not shown
    <out>/board.css  board.js           shared by all pages
    <out>/genebench-board.json          marks the folder as a board, and lists its content

Pages are named by keys and hashes, so that no name of a plugin or a file becomes a path.

Modules: ``assembly`` builds a site. ``reading`` reads records and ``vectors`` their vectors.
``boards`` groups runs, ``tables`` ranks them, and ``contents`` collects all numbers. ``site`` lists
the files. ``pages``, ``run_pages``, ``downloads`` and ``charts`` render them, with ``templating``
and ``equations``. ``payloads`` has the numbers of charts. ``pool``, ``pool_worker`` and ``pipes``
spread work over processes. ``publish`` puts the site in place.
"""
