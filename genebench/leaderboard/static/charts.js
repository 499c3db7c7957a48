// Charts of a board.
