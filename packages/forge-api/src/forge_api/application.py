"""The aiohttp application."""

from aiohttp import web

from forge_api.services import Services
from forge_api.web.endpoint import endpoint
from forge_api.web.middlewares import MIDDLEWARES, SERVICES
from forge_api.web.parsing import MAX_BODY
from forge_api.web.routes import ROUTES


def create_application(services: Services) -> web.Application:
    """The application with every route of the table; it neither opens nor closes what `services` holds."""
    application = web.Application(middlewares=MIDDLEWARES, client_max_size=MAX_BODY)
    application[SERVICES] = services
    application.on_shutdown.append(_let_watchers_go)
    for route in ROUTES:
        application.router.add_route(route.method, route.path, endpoint(route))
    return application


async def _let_watchers_go(application: web.Application) -> None:
    application[SERVICES].feeds.close()
