"""Pages of the site."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse


def invoice(request: HttpRequest, number: int) -> HttpResponse:
    """Show an invoice, in the new form where the feature is turned on now."""
    if settings.CONFIG.get("features.new_invoice", False):
        return HttpResponse(f"<h1>Invoice {number}</h1>")
    return HttpResponse(f"Invoice {number}", content_type="text/plain")
