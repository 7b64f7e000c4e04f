"""Texts that every vocabulary must read alike."""

# Written in two ways, read as one: NFKC, kana composed, widths folded, spaces collapsed.
SAME = [
    ("ｶﾞﾝﾀﾞﾑ", "ガンダム"),
    ("カ\u3099ンタ\u3099ム", "ガンダム"),
    ("ﾊ\u309aﾝ", "パン"),
    ("ﾗｰﾒﾝ", "ラーメン"),
    ("ラｰメン", "ラーメン"),
    ("ＣＡＴ１２３", "cat123"),
    ("㈱", "(株)"),
    ("①", "1"),
    ("㌖", "キロメートル"),
    ("Ⅲ", "iii"),
    ("猫　の　絵", "猫 の 絵"),
    ("  猫\t\n絵  ", "猫 絵"),
    ("が\u200bは", "が は"),
]
