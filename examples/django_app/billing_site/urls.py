"""Addresses of the site."""

from django.urls import path

from billing_site.views import invoice

urlpatterns = [path("invoices/<int:number>", invoice)]
