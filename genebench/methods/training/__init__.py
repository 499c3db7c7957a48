"""Training by gradient: the loop that plugins share.

A method describes its networks as a :class:`~genebench.methods.training.learner.Learner`: one step
on a mini-batch, a prediction, the tensors that make the networks up. The loop does the rest, alike
for every method: epochs of shuffled mini-batches, the error on each validation set after each
epoch, the best epoch for each set, checkpoints, early stop, deadline, progress.

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
