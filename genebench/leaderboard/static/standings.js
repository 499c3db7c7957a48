// The ranks of a board as a table that is sorted, filtered, and given other columns.
"use strict";
