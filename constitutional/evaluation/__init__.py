"""How good a labeler is: statistics of labels against people's judgements. Knows nothing of files, jobs or engines."""
