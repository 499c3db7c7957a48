"""Training by gradient: the loop that all networks share.

A method describes its networks as a :class:`~genebench.methods.training.learner.Learner`: one step
on a mini-batch, a prediction, and the tensors of the networks. The loop does the rest, in the same
way for every method: epochs of shuffled mini-batches, the error on each validation set after each
epoch, the best epoch for each set, checkpoints, early stopping, time limit and progress.

::

    params      parameters of the loop, for which a plugin sets defaults
    learner     the interface that a method implements
    batches     profiles on the device, or streamed to it
    noise       random masks, for dropout and the like
    precision   float32 weights, and bfloat16 copies for fast products
    checkpoint  one file, from which a killed run continues
    history     learning curve and best epochs
    loop        the loop
    errors      divergence, and lack of memory with remedies

This package and ``params`` import nothing heavy, because listing the methods of a plugin imports
them.
"""
