"""Paths of people's own pages, below /account/."""

from django.urls import path

from accounts.portal import second_factor

urlpatterns = [path("second-factor", second_factor.SecondFactorPage.as_view(), name="second-factor")]
