"""Parts that several pages use: web assets, the board of cards, the controls of a lesion."""
