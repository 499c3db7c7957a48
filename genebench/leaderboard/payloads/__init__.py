"""The numbers behind the charts of a board: files that a page loads when a tab opens.

::

    boards/<id>/tabs.js     scores, p-values of pairs, protocols, curves and dates of a board
    boards/<id>/genes.js    the error of each gene, for the best methods of a board
    genes/<id>.js           ids and symbols of target genes, shared by boards

Modules: ``files`` yields these files. ``scores``, ``protocols``, ``curves``, ``history`` and
``genes`` return what they hold, as data that JSON can express. ``packing`` writes it as scripts,
since a page that was opened from disk can load nothing else.
"""
