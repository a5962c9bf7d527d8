"""Every path of the peer."""

from django.urls import path

from benchmarks.stock_peer.views import CreateStockEntry

urlpatterns = [path("logs", CreateStockEntry.as_view())]
