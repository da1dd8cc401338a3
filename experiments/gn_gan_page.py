QUESTION = "What keeps a GAN's modes?"


def finding(results):
    return ""


def write_pages(out, results):
    pass
