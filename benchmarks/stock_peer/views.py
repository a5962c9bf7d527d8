"""The one endpoint."""

from typing import Any

from rest_framework import generics, serializers

from benchmarks.stock_peer.models import StockEntry


class StockEntrySerializer(serializers.ModelSerializer[StockEntry]):
    class Meta:
        model = StockEntry
        fields = "__all__"


class CreateStockEntry(generics.CreateAPIView[StockEntry]):
    queryset = StockEntry.objects.all()
    serializer_class = StockEntrySerializer

    def perform_create(self, serializer: serializers.BaseSerializer[StockEntry]) -> None:
        user: Any = self.request.user
        # A service's account is named by its tenant.
        serializer.save(tenant_id=user.username, source=f"user:{user.pk}")
