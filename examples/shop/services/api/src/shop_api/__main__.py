"""`python -m shop_api` serves the prices on port 8080."""

from http.server import ThreadingHTTPServer

from shop_api.server import Handler

PORT = 8080

if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()
