"""Training by gradient: the loop that plugins share.

A method describes its networks as a :class:`genebench.training.learner.Learner`: what a step on a
mini-batch does, what it predicts, which tensors make it up. :func:`genebench.training.loop.train`
does the rest, for every method alike: epochs of shuffled mini-batches, the error on each selection
set after each, the best epoch for each, checkpoints, early stop, deadline, progress.

::

    params      the loop's parameters, declared once; plugins put in their own defaults
    learner     what a method supplies
    batches     profiles on the device, or streamed to it
    noise       masks of dropout and the like
    precision   float32 matrices and the bfloat16 copies that fast products use
    checkpoint  one file, replaced whole, from which a killed run continues
    course      learning curve and best epochs: what a checkpoint holds beside tensors
    loop        the loop
    errors      divergence; memory that ran out, and what to turn

This package and ``params`` import nothing heavy: a plugin declares its parameters with them.
"""
