"""Python imports this before MiniStack.

MiniStack hands a function its event in two pieces, headers and body. The second waits for the acknowledgement of the
first, which Linux holds back for 40 ms: that would be most of the time of every invocation. AWS has no such wait.
"""

import socketserver

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
