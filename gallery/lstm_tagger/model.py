import fnlearn.functional as F


def tagger(params, sentence):  # gallery.lstm_tagger.torch_model.Tagger
    embedded = F.embedding(sentence, **params["embed"])
    hidden, _, _ = F.lstm(embedded, None, params["lstm"], bidirectional=True, batch_first=True)
    return F.log_softmax(F.linear(hidden, **params["tag"]), -1)


def apply(params, buffers, sentence, *, train=False, key=None):
    """The whole model: what it returns, and its buffers as they are afterwards."""
    return tagger(params, sentence), buffers
