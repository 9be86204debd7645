"""Python imports this before MiniStack: two settings that it has no option for.

It hands a function its event in two pieces, headers and body. The second waits for the acknowledgement of the first,
which Linux holds back for 40 ms: that would be most of the time of every invocation. AWS has no such wait.

It lets a hundred connections wait to be accepted. A burst of pushes and writes opens more, and Linux drops the rest: they
begin anew after a second, by when an SDK has given up on some of them and sent the request once more.
"""

import socketserver

from hypercorn.config import Config

socketserver.StreamRequestHandler.disable_nagle_algorithm = True
Config.backlog = 1024
